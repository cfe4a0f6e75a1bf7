"""Every setting of the project, a file for each subject. docs/settings.md explains each variable of the environment.

`environment` is the only reader of the environment, and `checks` refuses what must not be served.
"""

from sidekick.settings.accounts import *  # noqa: F403
from sidekick.settings.api import *  # noqa: F403
from sidekick.settings.base import *  # noqa: F403
from sidekick.settings.billing import *  # noqa: F403
from sidekick.settings.database import *  # noqa: F403
from sidekick.settings.feedback import *  # noqa: F403
from sidekick.settings.operations import *  # noqa: F403
from sidekick.settings.security import *  # noqa: F403
from sidekick.settings.serving import *  # noqa: F403

"""Reports, and the webhook that they are forwarded to."""

from sidekick.settings.environment import env

# Only the report form takes files. Bytes beyond a report's images are read past, never held (F5).
FILE_UPLOAD_HANDLERS = ["feedback.uploads.BoundedUpload"]
# F6: new reports are forwarded here, if anywhere. Anyone who knows the secret can forge reports.
FEEDBACK_WEBHOOK_URL = env.str("FEEDBACK_WEBHOOK_URL", default="")
FEEDBACK_WEBHOOK_SECRET = env.str("FEEDBACK_WEBHOOK_SECRET", default="")

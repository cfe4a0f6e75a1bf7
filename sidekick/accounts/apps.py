from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "sidekick.accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from sidekick.accounts.sign_in import signals  # noqa: F401

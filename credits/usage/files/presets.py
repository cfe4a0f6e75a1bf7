"""The exports that are known by name, and where the fields of a request stand in them (M10).

In a column, `a|b` is the first that a row has, and `a+b` is added up.
"""

from __future__ import annotations

from credits.usage.files.layouts import Layout, Preset, Sums

OPENAI = {
    "occurred_at": "start_time",
    "model": "model",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "input_cached_tokens",
}
OPENAI_SUMS = Sums(("end_time", "project_id", "user_id", "api_key_id", "model", "batch", "service_tier"), "end_time")
CONSOLE = "usage_input_tokens"
LITELLM = "metadata.additional_usage_values"
CCUSAGE = {
    "model": "modelName",
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_read_tokens": "cacheReadTokens",
    "cache_write_tokens": "cacheCreationTokens",
}

PRESETS = {
    "openai": Preset(
        "usage of completions, grouped by model: the usage page's CSV or /v1/organization/usage/completions. "
        "Sums; cached tokens are taken out of input",
        (Layout(OPENAI, ("data", "results"), cached_inside=True, sums=OPENAI_SUMS),),
    ),
    "anthropic": Preset(
        "usage by model: the Console's CSV or /v1/organizations/usage_report/messages. Sums",
        (
            Layout(
                {
                    "occurred_at": "usage_date_utc",
                    "model": "model_version",
                    "input_tokens": f"{CONSOLE}_no_cache",
                    "output_tokens": "usage_output_tokens",
                    "cache_read_tokens": f"{CONSOLE}_cache_read",
                    "cache_write_tokens": f"{CONSOLE}_cache_write_5m+{CONSOLE}_cache_write_1h",
                },
                sums=Sums(
                    (
                        "model_version", "api_key", "workspace", "usage_type", "context_window",
                        "inference_geo", "speed",
                    )
                ),
            ),
            Layout(
                {
                    "occurred_at": "starting_at",
                    "model": "model",
                    "input_tokens": "uncached_input_tokens",
                    "output_tokens": "output_tokens",
                    "cache_read_tokens": "cache_read_input_tokens",
                    "cache_write_tokens": "cache_creation.ephemeral_5m_input_tokens"
                    "+cache_creation.ephemeral_1h_input_tokens",
                },
                ("data", "results"),
                sums=Sums(
                    (
                        "ending_at", "model", "api_key_id", "workspace_id", "service_tier",
                        "context_window", "inference_geo", "speed",
                    ),
                    "ending_at",
                ),
            ),
        ),
    ),
    "openrouter": Preset(
        "the activity page's CSV (a row a request; cached tokens are taken out of input), or /api/v1/activity "
        "(sums of a day, which do not say what was cached)",
        (
            Layout(
                {
                    "request_id": "generation_id",
                    "occurred_at": "created_at",
                    "model": "model_permaslug",
                    "input_tokens": "tokens_prompt",
                    "output_tokens": "tokens_completion",
                    "cache_read_tokens": "tokens_cached",
                },
                cached_inside=True,
            ),
            Layout(
                {
                    "occurred_at": "date",
                    "model": "model",
                    "input_tokens": "prompt_tokens",
                    "output_tokens": "completion_tokens",
                },
                ("data",),
                sums=Sums(("model", "model_permaslug", "endpoint_id", "provider_name")),
            ),
        ),
    ),
    "litellm": Preset(
        "the spend logs: the table LiteLLM_SpendLogs or /spend/logs; cached tokens are taken out of input. "
        "--map account=end_user or account=user, else --account",
        (
            Layout(
                {
                    "request_id": "request_id",
                    "occurred_at": "startTime",
                    "model": "model",
                    "input_tokens": "prompt_tokens",
                    "output_tokens": "completion_tokens",
                    "cache_read_tokens": f"{LITELLM}.cache_read_input_tokens"
                    f"|{LITELLM}.prompt_tokens_details.cached_tokens"
                    "|metadata.usage_object.cache_read_input_tokens"
                    "|metadata.usage_object.prompt_tokens_details.cached_tokens",
                    "cache_write_tokens": f"{LITELLM}.cache_creation_input_tokens"
                    "|metadata.usage_object.cache_creation_input_tokens",
                },
                cached_inside=True,
            ),
        ),
    ),
    "langfuse": Preset(
        "the observations as CSV, JSON or JSON lines. Langfuse takes cached tokens out of input itself; where an "
        "integration does not, add --cached-inside-input",
        (
            Layout(
                {
                    "request_id": "id",
                    "occurred_at": "startTime",
                    "model": "model|providedModelName",
                    "input_tokens": "usageDetails.input+usageDetails.input_audio_tokens"
                    "+usageDetails.input_image_tokens+usageDetails.input_text_tokens|usageDetails.input",
                    "output_tokens": "usageDetails.output+usageDetails.output_reasoning_tokens"
                    "+usageDetails.output_audio_tokens+usageDetails.output_reasoning|usageDetails.output",
                    "cache_read_tokens": "usageDetails.input_cached_tokens|usageDetails.cache_read_input_tokens"
                    "|usageDetails.input_cache_read",
                    "cache_write_tokens": "usageDetails.cache_creation_input_tokens"
                    "|usageDetails.input_cache_creation",
                },
            ),
        ),
    ),
    "ccusage": Preset(
        "`ccusage daily --json`. Sums of a day and model; its days are of --time-zone",
        (
            Layout(
                {"occurred_at": "date|period", **CCUSAGE},
                ("daily", "modelBreakdowns"),
                sums=Sums(("modelName", "project")),
            ),
        ),
    ),
    "codex": Preset(
        "a session's log (rollout-….jsonl): its token counts; cached tokens are taken out of input",
        (
            Layout(
                {
                    "occurred_at": "timestamp",
                    "model": "model",
                    "input_tokens": "input_tokens",
                    "output_tokens": "output_tokens",
                    "cache_read_tokens": "cached_input_tokens",
                },
                cached_inside=True,
            ),
        ),
        session=True,
    ),
}  # fmt: skip

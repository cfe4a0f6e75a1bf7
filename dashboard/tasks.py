"""The worker's tasks for old rows and for jobs that failed."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.utils import timezone
from procrastinate import JobContext
from procrastinate.contrib.django import app
from procrastinate.exceptions import UniqueViolation
from procrastinate.jobs import Status
from procrastinate.manager import JobManager

from dashboard.ops import retention

logger = logging.getLogger(__name__)


@app.periodic(cron="23 3 * * *")
@app.task(queueing_lock="clean", lock="clean")
def clean(timestamp: int) -> None:
    """Every night. A missed one is made up for by the next."""
    retention.clean(timezone.now())


@app.periodic(cron="41 3 * * *")
@app.task(queueing_lock="remove_failed_jobs", pass_context=True)
async def remove_failed_jobs(context: JobContext, timestamp: int) -> None:
    """Every night: jobs that failed for good and that nobody looked at for a month."""
    await context.app.job_manager.delete_old_jobs(
        nb_hours=retention.KEEP_FAILED_JOBS // timedelta(hours=1),
        include_failed=True,
        include_cancelled=True,
        include_aborted=True,
    )


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="free_stalled_jobs", pass_context=True)
async def free_stalled_jobs(context: JobContext, timestamp: int) -> None:
    """Every minute. Without a lock: it must not wait for itself."""
    await free(context.app.job_manager)


async def free(jobs: JobManager) -> None:
    """Have jobs whose worker died over them done again.

    Such a job holds its lock for ever, and with it every later one of its kind. Where the next of its kind waits
    already, that one does the work, and the old one is given up.
    """
    for job in await jobs.get_stalled_jobs():
        try:
            await jobs.retry_job(job=job)
        except UniqueViolation:
            await jobs.finish_job(job=job, status=Status.FAILED, delete_job=True)
        logger.warning("job %s of %s was left behind by its worker", job.id, job.task_name)

"""Subscriptions: how they begin, renew, fail, recover, change, pause, resume and end.

Start reading at `lifecycle.py`: what falls due is done by `fall_due`, at the time it fell due.
"""

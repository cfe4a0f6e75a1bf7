"""A Paddle of our own for development and tests (P7).

It plays a foreign service: it imports nothing of ours and reaches the dashboard by HTTP alone. Nothing here is
for production, and no money moves. Start reading at `world.py` (its verbs) and `state.py` (its clock and entities).
"""

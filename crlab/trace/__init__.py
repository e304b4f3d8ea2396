"""Floor 1: the one ordered, bounded log of what happened, and recordings of it.

Every stage appends to it; frames, charts, explain, time travel and tests read it.
"""

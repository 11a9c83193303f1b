"""One module per claim, named like its slug.

Each has QUICK (it looks at the running stack alone) and check(subject, evidence): it notes what it saw, and raises
Refuted where that doesn't fit the claim, Unverifiable where it can't be executed. It leaves the stack as it found it.
"""

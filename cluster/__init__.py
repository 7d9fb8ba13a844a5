"""Where things run: processes on this machine now, Kubernetes later. Carries out what the cores decide.

Does not: know the database.
"""

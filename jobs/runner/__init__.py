"""Engines (processes of this machine, or Ray), retries, nodes, progress, and the execution of a job."""

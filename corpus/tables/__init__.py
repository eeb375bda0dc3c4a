"""The rows of ledger, corpus and samples, the verdicts laid over them, the pack phase, and takedown lists."""

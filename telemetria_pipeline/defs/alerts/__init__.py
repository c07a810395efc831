"""What people are told: runs, checks, boletins, sources, the daily report, and what stands still."""

"""What a job costs, who pays, and what is written down of it. `jobs` alone spends."""

"""What gapless costs: `python -m tests.benchmarks`. Programs, not collected by pytest."""

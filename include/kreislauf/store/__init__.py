"""Where the workflow's truth is kept: cycles, handovers, loops, releases, predictions, outcomes, verdicts, tables."""

"""What is paid: tariffs in force, the bill of a cycle, adjustments of closed ones, patterns over a cycle."""

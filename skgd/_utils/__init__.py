"""What all packages share: checks, rules, linear algebra, threads."""

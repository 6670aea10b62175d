"""What makes a stranger's result one to rely on: run elsewhere, compared, remembered, attested."""

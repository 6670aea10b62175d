"""What client, host and runner share: definitions, messages, values, the sealed session. No I/O."""

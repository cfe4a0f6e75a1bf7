"""Development tools: demo accounts, a mailbox, samples of all emails. In no image and no production process."""

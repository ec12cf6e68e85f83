"""Pseudonyms: what analysts see in place of people, mailboxes, devices and addresses."""

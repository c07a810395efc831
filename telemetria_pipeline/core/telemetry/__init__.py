"""From a mapped record to a trip: cleaning, odometers, the row ledger, what a sceptic asks of an hour."""

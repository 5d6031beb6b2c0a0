"""The acceptance test: what a tester checks with a utility before customers are let through to it.

Only the sandbox and a utility's test environment are ever called from here, with a tester as the customer.
"""

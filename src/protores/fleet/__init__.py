"""Many products: a table of trainings, Ray to run them on as many machines as there are, one overview of all.

fleet.py tells the story: table.py reads the table, row.py is a training and its folder, task.py what a machine does
with it, attempts.py has Ray do it for all, share.py says with how much of a machine, summary.py and overview.py say
what came of it.
"""

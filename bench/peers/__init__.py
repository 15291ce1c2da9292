"""Other systems doing the same work on the same machine in the same run, each in a process of its own.

The `with_*` programs run in an environment of their own (`.venv-bench`, or Node's `node_modules` beside this file), so
they import nothing of the product and nothing of the product imports them.
"""

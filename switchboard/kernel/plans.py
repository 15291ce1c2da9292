"""Plans: what a transaction asks of the planner, for few rows and for many."""

# Planning a statement for a row or two costs more than running it, so queue loops keep their plans. A plan that is kept
# knows neither its values nor how far its tables have grown since: it goes by indexes, a row at a time, or not at all.
KEPT_PLANS = (
    "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off;"
    "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;"
)
PLANS_FOR_MANY = (
    "SET LOCAL plan_cache_mode = auto; SET LOCAL enable_seqscan = on;"
    "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on"
)
# Tells a statement that is run for many rows from the same one for few: Postgres keeps a plan for each text.
MARK_OF_MANY = " -- for many rows"
# Joining so many rows to each other one at a time costs more than planning does.
MOST_ROWS_OF_KEPT_PLANS = 100

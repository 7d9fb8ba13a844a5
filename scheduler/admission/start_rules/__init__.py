"""Hold the rules that say whether one run may start now. Each is one function, `blocked(view, run) -> Blocked | None`.

view              what a rule may look at (`View`), and what it answers (`Blocked`)
never_fits        rule 8: the run is larger than any node, or than the pool
added_rule        rule 12: an added rule refuses it
owner_limits      rules 3 and 10: its team or user has no room left, or what is left is reserved in another pool
exclusive_names   rules 3 and 10: another run holds one of its exclusive names, or has it reserved
pool_limit        rules 1 and 3: the pool has no room left
reserved_limits   rules 6 and 7: what is left of a limit is reserved for a run before it
order             which of them are asked, and in which order

The same functions decide (`cycle_state`, `groups`), explain (`explanation`) and find what is reserved in all pools
(`cross_pool`). The last condition, that a node has room, is `scheduler.placement.placement.choose`.
"""

"""Run the admission cycle of a pool: who starts now and where, and why each of the others waits.

plan                      the rules by number, and all decisions of a pass with their reasons
admission_cycle           one cycle: its phases by name
changes                   a state after a decision, an arrival or an end
wake                      when time alone can change a decision
start_rules               may one run start now? Each rule one function, asked by deciding and explaining alike
cycle_state               what has started and is reserved so far in the cycle
run_order                 what is left of the order, and what need not be looked at
state                     the pool: waiting and running runs, nodes, sums
equivalence_classes       the waiting runs in classes of equal runs
cycle_cache               the classes as arrays, and what else is remembered from cycle to cycle, only to be quicker
reservation               what is reserved for one run
reservations              what is reserved in this pool
cross_pool                what is reserved in all pools
cross_pool_reservations   this as a value, which the pools exchange
repeated_reservations     what need not be decided anew, since nothing has changed for it
groups, group_placement   runs that start together, and nodes for all of them
preemption, victims       which runs are asked to stop for a more important one
fair_order, share_view    the shares during a cycle, and for people
rule, rules               the port of added rules, and those that are registered
decisions, outcome        what a cycle decides, and what it found
explanation               why a run waits
invariants                what must hold of a state between two cycles
"""

"""Change comparisons and boolean operators at random, and count how many changes the tests notice: `make mutants`.

A change that no test notices is a *survivor*: either it has no effect, or a test is missing. The tool changes copies of
the checkout, never the checkout itself. It is no part of CI, since it takes half an hour on two cores.

    mutate      find the places that can be changed, and make one change; pure
    checkout    copy the checkout, and run test files in a copy
    reached     find which test files evaluate which places, and how long each test file takes
    hits        the plugin of pytest that notes the places
    __main__    choose places by a seed, try each change, report

`survivors.md` lists the survivors of the last whole run, each with the reason why it stays.
"""

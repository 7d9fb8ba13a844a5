"""Read JUnit XML as real tools write it. Pure but for the open files that it is given.

characters     bytes to text that an XML parser takes: encodings, forbidden characters; refuses a document type
document       the elements of one document: suites, test cases, what a suite claims
dialects       the rule for each deviation of a tool, beside its source
durations      seconds as a locale writes them
files          finds the files that a request names
reader         one report of one or several files

Which test a result is of is decided in `executors/identity.py`, for all readers.
"""

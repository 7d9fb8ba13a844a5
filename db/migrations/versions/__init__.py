"""The revisions, in order of number. One that was released is never changed."""

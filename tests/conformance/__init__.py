"""What every world's microcluster must do alike, be it the fake or real daemons.

`suite.ConformanceSuite` goes through the rows of what was measured on real microclusters. A world
binds itself to it with two fixtures, `cluster` and `world`, and nothing else.
"""

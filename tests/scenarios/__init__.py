"""What users of a cluster meet, as tests that run on each cloud that can express them.

A file for each subject. `conftest.py` has the fixture `cloud`, chosen by `--cloud`; `helpers.py`
has the steps and expectations that scenarios share.
"""

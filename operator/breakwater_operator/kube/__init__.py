"""Reading, watching and writing objects of the cluster; not what they mean."""

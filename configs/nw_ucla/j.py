_base_ = '../_base_/nw_ucla.py'
stream = 'j'
data = {{_base_.stream.nw_ucla.j.plain}}
work_dir = './work_dirs/nw_ucla/j'

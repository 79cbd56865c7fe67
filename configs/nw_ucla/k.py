_base_ = '../_base_/nw_ucla.py'
stream = 'k'
data = {{_base_.stream.nw_ucla.k.plain}}
work_dir = './work_dirs/nw_ucla/k'

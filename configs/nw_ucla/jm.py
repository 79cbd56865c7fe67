_base_ = '../_base_/nw_ucla.py'
stream = 'jm'
data = {{_base_.stream.nw_ucla.jm.plain}}
work_dir = './work_dirs/nw_ucla/jm'

_base_ = '../_base_/nw_ucla.py'
stream = 'bm'
data = {{_base_.stream.nw_ucla.bm.plain}}
work_dir = './work_dirs/nw_ucla/bm'

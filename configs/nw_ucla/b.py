_base_ = '../_base_/nw_ucla.py'
stream = 'b'
data = {{_base_.stream.nw_ucla.b.plain}}
work_dir = './work_dirs/nw_ucla/b'

_base_ = '../_base_/nw_ucla.py'
stream = 'km'
data = {{_base_.stream.nw_ucla.km.plain}}
work_dir = './work_dirs/nw_ucla/km'

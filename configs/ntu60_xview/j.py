_base_ = '../_base_/ntu60_xview.py'
stream = 'j'
data = {{_base_.stream.ntu.j.plain}}
work_dir = './work_dirs/ntu60_xview/j'

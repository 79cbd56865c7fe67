_base_ = '../_base_/ntu60_xview.py'
stream = 'b'
data = {{_base_.stream.ntu.b.plain}}
work_dir = './work_dirs/ntu60_xview/b'

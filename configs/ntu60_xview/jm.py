_base_ = '../_base_/ntu60_xview.py'
stream = 'jm'
data = {{_base_.stream.ntu.jm.plain}}
work_dir = './work_dirs/ntu60_xview/jm'

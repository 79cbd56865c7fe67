_base_ = '../_base_/ntu60_xview.py'
stream = 'bm'
data = {{_base_.stream.ntu.bm.plain}}
work_dir = './work_dirs/ntu60_xview/bm'

_base_ = '../_base_/ntu60_xview.py'
stream = 'k'
data = {{_base_.stream.ntu.k.part_drop}}
work_dir = './work_dirs/ntu60_xview/k'

_base_ = '../_base_/ntu60_xview.py'
stream = 'km'
data = {{_base_.stream.ntu.km.part_drop}}
work_dir = './work_dirs/ntu60_xview/km'

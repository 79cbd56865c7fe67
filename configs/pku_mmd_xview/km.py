_base_ = '../_base_/pku_mmd_xview.py'
stream = 'km'
data = {{_base_.stream.pku_mmd.km.part_drop}}
work_dir = './work_dirs/pku_mmd_xview/km'

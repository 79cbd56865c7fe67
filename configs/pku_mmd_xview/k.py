_base_ = '../_base_/pku_mmd_xview.py'
stream = 'k'
data = {{_base_.stream.pku_mmd.k.part_drop}}
work_dir = './work_dirs/pku_mmd_xview/k'

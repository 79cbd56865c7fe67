_base_ = '../_base_/pku_mmd_xview.py'
stream = 'b'
data = {{_base_.stream.pku_mmd.b.part_drop}}
work_dir = './work_dirs/pku_mmd_xview/b'

_base_ = '../_base_/pku_mmd_xview.py'
stream = 'bm'
data = {{_base_.stream.pku_mmd.bm.part_drop}}
work_dir = './work_dirs/pku_mmd_xview/bm'

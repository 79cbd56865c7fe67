_base_ = '../_base_/utd_mhad.py'
stream = 'bm'
data = {{_base_.stream.utd_mhad.bm.plain}}
work_dir = './work_dirs/utd_mhad/bm'

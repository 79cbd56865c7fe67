_base_ = '../_base_/utd_mhad.py'
stream = 'jm'
data = {{_base_.stream.utd_mhad.jm.plain}}
work_dir = './work_dirs/utd_mhad/jm'

_base_ = '../_base_/utd_mhad.py'
stream = 'km'
data = {{_base_.stream.utd_mhad.km.plain}}
work_dir = './work_dirs/utd_mhad/km'
